"""What is wrong with the configuration."""


class ConfigError(Exception):
    """The configuration cannot be used; the message says where and why."""
