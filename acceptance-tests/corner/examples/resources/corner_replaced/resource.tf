resource "corner_replaced" "example" {
  always = "another value needs another object"
  size   = 10 # may grow in place
  inner  = { kind = "fast" }
}
