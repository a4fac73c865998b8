// Command volumes makes a folder of the machine for each PersistentVolumeClaim of the StorageClass "folders", and removes it with the claim.
// The one node of hack/cluster runs it; $KUBECONFIG names the cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// class is the name of the StorageClass, in storage_class.yaml beside this folder.
const class = "folders"

// interval between two looks at the claims: a cluster of one node has few.
const interval = 500 * time.Millisecond

func main() {
	folder := flag.String("folder", "", "where the volumes' folders are made")
	flag.Parse()
	if err := run(*folder); err != nil {
		fmt.Fprintln(os.Stderr, "volumes:", err)
		os.Exit(1)
	}
}

// run serves claims until the process is told to end.
func run(folder string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if !filepath.IsAbs(folder) {
		return errors.New("-folder must be an absolute path")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	api, err := client.New(cfg, client.Options{})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := errors.Join(provide(ctx, api, folder), reclaim(ctx, api, folder)); err != nil {
			fmt.Fprintln(os.Stderr, "volumes:", err) // the API server may come back
		}
	}, interval)
	return nil
}

// provide makes the volumes that claims wait for.
func provide(ctx context.Context, api client.Client, folder string) error {
	var claims corev1.PersistentVolumeClaimList
	if err := api.List(ctx, &claims); err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		of := claim.Spec.StorageClassName
		if of == nil || *of != class || claim.Spec.VolumeName != "" || !claim.DeletionTimestamp.IsZero() {
			continue
		}
		volume := volumeOf(claim, folder)
		path := volume.Spec.HostPath.Path
		// As everybody's: the kubelet gives a folder of the machine to no group.
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, 0o777)); err != nil { //nolint:gosec // a test's data
			return fmt.Errorf("making the folder of %s: %w", client.ObjectKeyFromObject(claim), err)
		}
		if err := api.Create(ctx, volume); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("making the volume of %s: %w", client.ObjectKeyFromObject(claim), err)
		}
	}
	return nil
}

func volumeOf(claim *corev1.PersistentVolumeClaim, folder string) *corev1.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Spec.Resources.Requests,
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              class,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(folder, name)}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
}

// reclaim removes the volumes whose claims are gone, with what was in them.
func reclaim(ctx context.Context, api client.Client, folder string) error {
	var volumes corev1.PersistentVolumeList
	if err := api.List(ctx, &volumes); err != nil {
		return fmt.Errorf("listing volumes: %w", err)
	}
	for i := range volumes.Items {
		volume := &volumes.Items[i]
		released := volume.Status.Phase == corev1.VolumeReleased || volume.Status.Phase == corev1.VolumeFailed
		if volume.Spec.StorageClassName != class || volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || !released {
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, volume.Name)); err != nil {
			return fmt.Errorf("removing the folder of %s: %w", volume.Name, err)
		}
		if err := client.IgnoreNotFound(api.Delete(ctx, volume)); err != nil {
			return fmt.Errorf("removing %s: %w", volume.Name, err)
		}
	}
	return nil
}
