"""Measurements that anyone can repeat: `./run bench NAME`."""
