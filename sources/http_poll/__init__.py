"""The ``http_poll`` source: a JSON API, asked again and again."""
