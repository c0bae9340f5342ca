terraform import corner_union.example union-a2b3c4d5e6f7
