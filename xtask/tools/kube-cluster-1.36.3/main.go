// Command kube-cluster runs one part of a Kubernetes control plane, chosen by its first argument.
// It is for tests on one machine: the store neither syncs to disk nor asks for credentials.
package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("say which part: etcd, kube-apiserver, kube-controller-manager or kube-scheduler")
	}
	part := os.Args[1]
	os.Args = append([]string{part}, os.Args[2:]...)
	switch part {
	case "etcd":
		etcd()
	case "kube-apiserver":
		run(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		run(controllers.NewControllerManagerCommand())
	case "kube-scheduler":
		run(scheduler.NewSchedulerCommand())
	default:
		fail("no such part: " + part)
	}
}

func run(command *cobra.Command) { os.Exit(cli.Run(command)) }

// etcd DATA CLIENT_URL PEER_URL
func etcd() {
	if len(os.Args) != 4 {
		fail("usage: etcd DATA CLIENT_URL PEER_URL")
	}
	client, err := url.Parse(os.Args[2])
	if err != nil {
		fail(err.Error())
	}
	peer, err := url.Parse(os.Args[3])
	if err != nil {
		fail(err.Error())
	}
	config := embed.NewConfig()
	config.Dir = os.Args[1]
	config.LogLevel = "warn"
	config.UnsafeNoFsync = true
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		fail(err.Error())
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		server.Close()
	case err := <-server.Err():
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "kube-cluster: "+why)
	os.Exit(1)
}
