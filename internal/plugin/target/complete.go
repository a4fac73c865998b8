package target

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// CompleteWithin bounds what a shell waits for while it completes a word.
const CompleteWithin = 5 * time.Second

// Completion completes a word, as cobra has it.
type Completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// Complete offers what a function finds in time. That it finds nothing, as without a cluster, is no error in the middle of a command line.
func Complete(find func(ctx context.Context, args []string) ([]string, error)) Completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, CompleteWithin)
		defer cancel()
		found, err := find(ctx, args)
		if err != nil {
			cobra.CompErrorln(err.Error())
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteChannel offers the names of channels for the first argument.
func (t *Target) CompleteChannel(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return Complete(func(ctx context.Context, args []string) ([]string, error) {
		if len(args) > 0 {
			return nil, nil
		}
		return t.names(ctx, &v1alpha1.TiktokChannelList{})
	})(cmd, args, word)
}

// CompleteSink offers the sinks of the channel that is the first argument.
func (t *Target) CompleteSink(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return Complete(func(ctx context.Context, args []string) ([]string, error) {
		if len(args) == 0 {
			return nil, nil
		}
		c, namespace, err := t.Client()
		if err != nil {
			return nil, err
		}
		var ch v1alpha1.TiktokChannel
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: args[0]}, &ch); err != nil {
			return nil, err
		}
		var names []string
		for i := range ch.Spec.Sinks {
			names = append(names, ch.Spec.Sinks[i].Name)
		}
		return names, nil
	})(cmd, args, word)
}

// CompleteServiceAccount offers those of the chosen namespace.
func (t *Target) CompleteServiceAccount(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return Complete(func(ctx context.Context, _ []string) ([]string, error) {
		return t.names(ctx, &corev1.ServiceAccountList{})
	})(cmd, args, word)
}

// CompleteNamespace offers the cluster's.
func (t *Target) CompleteNamespace(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return Complete(func(ctx context.Context, _ []string) ([]string, error) {
		return t.names(ctx, &corev1.NamespaceList{})
	})(cmd, args, word)
}

// CompleteFlags has kubectl's flags completed on a command that has them.
func (t *Target) CompleteFlags(root *cobra.Command) {
	kubeconfig := func(names func(*api.Config) []string) Completion {
		return Complete(func(context.Context, []string) ([]string, error) {
			config, err := t.flags.ToRawKubeConfigLoader().RawConfig()
			if err != nil {
				return nil, err
			}
			return names(&config), nil
		})
	}
	for flag, complete := range map[string]Completion{
		"namespace": t.CompleteNamespace,
		"context":   kubeconfig(func(c *api.Config) []string { return slices.Sorted(maps.Keys(c.Contexts)) }),
		"cluster":   kubeconfig(func(c *api.Config) []string { return slices.Sorted(maps.Keys(c.Clusters)) }),
		"user":      kubeconfig(func(c *api.Config) []string { return slices.Sorted(maps.Keys(c.AuthInfos)) }),
	} {
		_ = root.RegisterFlagCompletionFunc(flag, complete) // the flag is there
	}
}

// names are those of the objects of a kind; of the chosen namespace, if they are in one.
func (t *Target) names(ctx context.Context, list client.ObjectList) ([]string, error) {
	c, namespace, err := t.Client()
	if err != nil {
		return nil, err
	}
	var options []client.ListOption
	if _, whole := list.(*corev1.NamespaceList); !whole {
		options = append(options, client.InNamespace(namespace))
	}
	if err := c.List(ctx, list, options...); err != nil {
		return nil, err
	}
	var names []string
	err = meta.EachListItem(list, func(item runtime.Object) error {
		names = append(names, item.(client.Object).GetName())
		return nil
	})
	return names, err
}
