"""The languages that pages are written in."""

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de", "fr")
