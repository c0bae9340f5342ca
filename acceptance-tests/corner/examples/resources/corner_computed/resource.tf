resource "corner_computed" "example" {
  name = "ada"
  note = "changes nothing but itself and its length"
}

output "loud" {
  value = corner_computed.example.loud # ADA
}
