"""What a scheduler believes will happen: compiled projections of the cluster's queues."""
