"""A folder of clips: found, shared out to worker processes on any number of machines, shown and summed up."""
