"""Keys of other servers, and what is signed with them."""
