"""What other servers send of their own accord: transactions, and what becomes of them."""
