terraform import corner_empty.example empty-a2b3c4d5e6f7
