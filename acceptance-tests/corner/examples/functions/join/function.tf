output "joined" {
  value = provider::corner::join("-", "a", "b", "c") # a-b-c
}
