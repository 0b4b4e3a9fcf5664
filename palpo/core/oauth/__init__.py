"""OAuth 2.0 as rules over what is at hand: what clients may say of themselves, and what they may ask for."""
