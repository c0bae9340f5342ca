terraform import corner_set.example set-a2b3c4d5e6f7
