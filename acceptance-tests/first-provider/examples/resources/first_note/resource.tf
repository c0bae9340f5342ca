resource "first_note" "shopping" {
  path = "${path.root}/shopping.txt"
  text = "milk\n"
}
