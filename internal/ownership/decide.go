package ownership

import "slices"

// view is what a replica knows when it decides.
type view struct {
	// members is how many replicas live, this one included.
	members int
	// mine are the shards that this replica holds, free those that nobody does.
	mine, free []int
	// offset is where in the shards this replica begins to claim, so that replicas that start together rarely want the same.
	offset int
}

// decision is what a replica does next.
type decision struct{ claim, giveBack []int }

// decide claims and gives back until every replica holds its share: the shards divided by the replicas, rounded up.
func decide(shards int, v view) decision {
	members := max(v.members, 1)
	share := (shards + members - 1) / members
	mine := slices.Sorted(slices.Values(v.mine))
	if len(mine) > share {
		return decision{giveBack: mine[share:]}
	}
	free := slices.Clone(v.free)
	distance := func(shard int) int { return (shard - v.offset%shards + shards) % shards }
	slices.SortFunc(free, func(a, b int) int { return distance(a) - distance(b) })
	return decision{claim: free[:min(len(free), share-len(mine))]}
}
