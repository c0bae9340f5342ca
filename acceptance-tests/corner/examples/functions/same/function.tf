output "same" {
  value = provider::corner::same({ any = [1, "a"] })
}
