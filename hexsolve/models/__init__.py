"""What is: data and arithmetic; knows no solver, no files, no screen."""
