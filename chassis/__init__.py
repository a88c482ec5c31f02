"""What every service stands on: event store, stage runner, puller, model port, object store, settings, process life."""
