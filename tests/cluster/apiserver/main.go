// A Kubernetes API server with its etcd in one process: main ETCD_FOLDER ETCD_URL PEER_URL [flags of kube-apiserver].
package main

import (
	"log"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = os.Args[1], "error", true
	client, _ := url.Parse(os.Args[2])
	peer, _ := url.Parse(os.Args[3])
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		log.Fatal(err)
	}
	<-etcd.Server.ReadyNotify()
	os.Args = append([]string{os.Args[0], "--etcd-servers", os.Args[2]}, os.Args[4:]...)
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
