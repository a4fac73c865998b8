// Package imports brings tokens from another system: it puts them into a Secret that a channel takes them from.
package imports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// maxTokens bounds what is read.
const maxTokens = 64 << 10

// keys are what a file may hold, named as TikTok names them. Whatever else an answer of TikTok's holds is left out.
var keys = []string{"refresh_token", "access_token"}

// Command is kubectl tiktok import.
func Command(t *target.Target) *cobra.Command {
	var file, secret string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import NAME --from-file FILE",
		Short: "Put tokens of another system into a Secret, and have the channel take them",
		Long: "Put tokens of another system into a Secret, and have the channel take them. FILE, or - for standard input, is JSON with refresh_token " +
			"and, better, access_token: TikTok's own answer will do. Stop the other system's refreshes first: a refresh token works once.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			tokens, err := read(cmd.InOrStdin(), file)
			if err != nil {
				return target.Failed(err)
			}
			c, namespace, err := t.Client()
			if err != nil {
				return target.Failed(err)
			}
			if secret == "" {
				secret = args[0] + "-import"
			}
			if dryRun {
				c = client.NewDryRunClient(c)
			}
			if err := run(cmd.Context(), c, client.ObjectKey{Namespace: namespace, Name: args[0]}, secret, tokens); err != nil {
				return target.Failed(err)
			}
			if dryRun {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "channel %s/%s would take its tokens from the Secret %s (dry run)\n", namespace, args[0], secret)
				return target.Failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "channel %s/%s takes its tokens from the Secret %s; delete your copy\n", namespace, args[0], secret)
			return target.Failed(err)
		},
	}
	cmd.Flags().StringVar(&file, "from-file", "", "File with the tokens, or - for standard input")
	cmd.Flags().StringVar(&secret, "secret", "", "Name of the Secret. Default: NAME-import")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "Have the API server check it all, and store nothing")
	_ = cmd.MarkFlagRequired("from-file") // it is there
	return cmd
}

// read returns the tokens of a file. No error repeats what is in it.
func read(stdin io.Reader, file string) (map[string]string, error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the tokens: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	text, err := io.ReadAll(io.LimitReader(in, maxTokens+1))
	if err != nil {
		return nil, fmt.Errorf("reading the tokens: %w", err)
	}
	if len(text) > maxTokens {
		return nil, errors.New("that is too long to be tokens")
	}
	var all struct {
		Data map[string]any `json:"data"`
	}
	var flat map[string]any
	if json.Unmarshal(text, &flat) != nil {
		return nil, errors.New("the tokens are not a JSON object such as {\"refresh_token\": \"…\", \"access_token\": \"…\"}")
	}
	if json.Unmarshal(text, &all) == nil && all.Data != nil { // an answer of TikTok's as it came
		flat = all.Data
	}
	tokens := map[string]string{}
	for _, key := range keys {
		value, there := flat[key]
		token, isText := value.(string)
		token = strings.TrimSpace(token)
		if there && (!isText || token == "") {
			return nil, fmt.Errorf("%s is not a token", key)
		}
		if there {
			tokens[key] = token
		}
	}
	if tokens["refresh_token"] == "" {
		return nil, errors.New("there is no refresh_token")
	}
	return tokens, nil
}

// run writes the Secret, and has the channel name it.
func run(ctx context.Context, c client.Client, key client.ObjectKey, name string, tokens map[string]string) error {
	ch := &v1alpha1.TiktokChannel{}
	if err := c.Get(ctx, key, ch); err != nil {
		return fmt.Errorf("reading channel %s, which must exist: %w", key, err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name}}
	labels := map[string]string{v1alpha1.ChannelLabel: key.Name}
	switch err := c.Get(ctx, client.ObjectKeyFromObject(secret), secret); {
	case apierrors.IsNotFound(err):
		secret.Labels, secret.StringData = labels, tokens
		if err := c.Create(ctx, secret); err != nil {
			return fmt.Errorf("creating the Secret %s: %w", name, err)
		}
	case err != nil:
		return fmt.Errorf("reading the Secret %s: %w", name, err)
	case secret.Type == v1alpha1.TokenSecretType:
		return fmt.Errorf("the Secret %s is the operator's own; name another with --secret", name)
	default:
		before := secret.DeepCopy()
		if secret.Labels == nil {
			secret.Labels = labels
		}
		secret.Labels[v1alpha1.ChannelLabel], secret.StringData = key.Name, tokens
		for _, name := range keys { // an access token of before does not belong to this refresh token
			if _, given := tokens[name]; !given {
				delete(secret.Data, name)
			}
		}
		if err := c.Patch(ctx, secret, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("changing the Secret %s: %w", name, err)
		}
	}
	before := ch.DeepCopy()
	ch.Spec.ImportTokensFrom = &v1alpha1.SecretReference{Name: name}
	if err := c.Patch(ctx, ch, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("having channel %s take the tokens: %w", key, err)
	}
	return nil
}
