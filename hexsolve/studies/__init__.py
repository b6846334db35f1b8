"""Studies: instances × policies × seeds, run once each, compared with statistics."""
