"""The sections of the configuration, in a file for each thing that they are about."""
