resource "corner_empty" "example" {
  text   = "" # not null
  list   = []
  object = {}
  gaps   = ["a", null, "c"]
}
