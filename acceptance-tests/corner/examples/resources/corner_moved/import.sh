terraform import corner_moved.example moved-a2b3c4d5e6f7
