terraform import corner_big.example big-a2b3c4d5e6f7
