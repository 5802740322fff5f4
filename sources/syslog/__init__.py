"""The ``syslog`` source: UDP, TCP, TLS and RELP."""
