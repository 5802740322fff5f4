"""An Apache Flume agent that tails one file, as a peer."""
