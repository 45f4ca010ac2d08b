package main

import (
	"context"
	"os"

	"github.com/spf13/pflag"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

// kwok runs the simulator of nodes: its configuration is read before the command is made,
// because the flags' defaults come from it.
//
// The Kubernetes parts put a flag of theirs, --version, among the flags of every program;
// it is no bool, which kwok's command library takes it for, so kwok begins with none.
func kwok() int {
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := log.InitFlags(signals.SetupSignalContext(), flags)
	ctx, err := config.InitFlags(ctx, flags)
	if err != nil {
		return fail(err)
	}
	return execute(ctx, flags)
}

func execute(ctx context.Context, flags *pflag.FlagSet) int {
	command := cmd.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	if err := command.ExecuteContext(ctx); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	_, _ = os.Stderr.WriteString("kwok: " + err.Error() + "\n")
	return 1
}
