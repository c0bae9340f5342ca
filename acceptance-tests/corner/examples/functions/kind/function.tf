output "kind" {
  value = provider::corner::kind([1, "a"]) # tuple([number, string])
}
