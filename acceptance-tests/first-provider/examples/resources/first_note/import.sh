terraform import first_note.shopping shopping.txt
