"""How long the pages and lists for administrators take on a large server: ``python -m bench.admin_pages``."""
