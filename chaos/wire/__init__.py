"""The wire: proxies between the processes and their servers, which see moments in the bytes and can spoil the way."""
