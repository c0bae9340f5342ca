terraform import corner_thing.example thing-a2b3c4d5e6f7
