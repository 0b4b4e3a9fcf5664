"""Turns the Matrix specification's OpenAPI and event definitions into Palpo's own compact facts."""
