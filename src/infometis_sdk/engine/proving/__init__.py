"""What a proof of equivalence rests on: inputs, renders, live objects and running images."""
