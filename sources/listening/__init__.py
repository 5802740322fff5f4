"""Sources that wait for others to connect: sockets in one thread, a bounded inbox, a task that empties it."""
