"""Events and states of rooms that are missing here, fetched from those who have them."""
