terraform import corner_by_hand.example four
