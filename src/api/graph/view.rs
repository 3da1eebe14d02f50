//! What is shown of a graph: the dearest, and one node for the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::{Costs, Forest, Key, Relation};

/// A node that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub key: Key,
    /// Rows at it and below it, or those that it pays, of what the focus is about.
    pub costs: Costs,
    /// Of them, those at the node itself.
    pub own: Costs,
    /// How many nodes it stands for, where it stands for others.
    pub count: Option<usize>,
}

/// An edge between two nodes that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    pub source: Key,
    pub target: Key,
    pub relation: Relation,
    /// What the two have in common.
    pub costs: Costs,
}

/// Nodes and edges, in the order in which they were found: nearer before farther, dearer before cheaper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    limit: usize,
    shown: BTreeSet<Key>,
}

impl View {
    /// The focus alone; of each relation at most `limit` nodes will be shown.
    pub fn of(focus: Node, limit: usize) -> Self {
        Self { shown: BTreeSet::from([focus.key.clone()]), nodes: vec![focus], edges: Vec::new(), limit }
    }

    /// Adds what hangs on the focus, `depth` levels of it.
    pub fn descend(&mut self, forest: &Forest, depth: u32) {
        let mut room = self.limit;
        let mut level: Vec<Key> = self.nodes.first().map(|focus| focus.key.clone()).into_iter().collect();
        for _ in 0..depth {
            let of = |parent: &Key| {
                let children = forest.children.get(parent).into_iter().flatten();
                children.map(|(child, costs)| (parent.clone(), child.clone(), costs.clone())).collect::<Vec<_>>()
            };
            let found = level.iter().flat_map(of).collect();
            let known = |key: &Key, costs: &Costs| Node {
                key: key.clone(),
                costs: forest.costs.get(key).unwrap_or(costs).clone(),
                own: forest.own.get(key).cloned().unwrap_or_default(),
                count: None,
            };
            level = self.relate(Relation::Parent, found, &mut room, known);
        }
    }

    /// Adds who pays for the focus, or what the focus pays for: `others` with the parts they share with it.
    pub fn charge(&mut self, others: Vec<(Key, Costs)>, forest: &Forest, focus_pays: bool) {
        let Some(focus) = self.nodes.first().map(|focus| focus.key.clone()) else { return };
        let found = others.into_iter().map(|(other, costs)| (focus.clone(), other, costs)).collect();
        let mut room = self.limit;
        let before = self.edges.len();
        self.relate(Relation::Charge, found, &mut room, |key, costs| {
            let costs = forest.costs.get(key).filter(|_| !focus_pays).unwrap_or(costs);
            Node { key: key.clone(), costs: costs.clone(), own: costs.clone(), count: None }
        });
        if focus_pays {
            for edge in &mut self.edges[before..] {
                std::mem::swap(&mut edge.source, &mut edge.target);
            }
        }
    }

    /// Adds the topics of the focus, which is a cluster.
    pub fn attribute(&mut self, topics: Vec<(Key, Costs)>) {
        let Some(focus) = self.nodes.first().map(|focus| focus.key.clone()) else { return };
        let found = topics.into_iter().map(|(topic, costs)| (focus.clone(), topic, costs)).collect();
        let mut room = self.limit;
        let node =
            |key: &Key, costs: &Costs| Node { key: key.clone(), costs: costs.clone(), own: costs.clone(), count: None };
        self.relate(Relation::Attribution, found, &mut room, node);
    }

    /// Was something left out?
    pub fn is_truncated(&self) -> bool {
        self.nodes.iter().any(|node| node.count.is_some())
    }

    /// Shows the dearest of `found` (source, target, what they share) as far as there is room, and one node for all others of
    /// a source. Returns what was not there before.
    fn relate(
        &mut self,
        relation: Relation,
        mut found: Vec<(Key, Key, Costs)>,
        room: &mut usize,
        node: impl Fn(&Key, &Costs) -> Node,
    ) -> Vec<Key> {
        found.sort_by(|a, b| b.2.weight().cmp(&a.2.weight()).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
        let (mut new, mut rest) = (Vec::new(), BTreeMap::<Key, (Costs, usize)>::new());
        for (source, target, costs) in found {
            if !self.shown.contains(&target) {
                if *room == 0 {
                    let (sum, count) = rest.entry(source).or_default();
                    sum.add(&costs);
                    *count += 1;
                    continue;
                }
                *room -= 1;
                self.shown.insert(target.clone());
                self.nodes.push(node(&target, &costs));
                new.push(target.clone());
            }
            self.edges.push(Edge { source, target, relation, costs });
        }
        for (source, (costs, count)) in rest {
            let key = Key::Rest(relation, Box::new(source.clone()));
            self.nodes.push(Node { key: key.clone(), costs: costs.clone(), own: costs.clone(), count: Some(count) });
            self.edges.push(Edge { source, target: key, relation, costs });
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::Placed;
    use super::*;
    use crate::domain::Amount;

    fn usd(n: i64) -> Costs {
        Costs::of("USD", Amount::whole(n))
    }

    fn forest() -> Forest {
        let row = |env: &str, resource: &str, amount| Placed {
            env_id: env.to_owned(),
            resource_id: resource.to_owned(),
            currency: "USD".to_owned(),
            amount: Amount::whole(amount),
        };
        let rows = [row("e1", "a", 5), row("e1", "b", 7), row("e2", "b", 1), row("", "s", 2), row("e2", "c", -9)];
        Forest::of(&rows, &HashMap::new())
    }

    fn view(limit: usize, depth: u32) -> View {
        let forest = forest();
        let focus = Node { key: Key::Tenant, costs: usd(6), own: Costs::default(), count: None };
        let mut view = View::of(focus, limit);
        view.descend(&forest, depth);
        view
    }

    fn told(view: &View) -> Vec<String> {
        let amount = |costs: &Costs| costs.0.get("USD").copied().unwrap_or_default().to_string();
        view.nodes.iter().map(|node| format!("{} {}", node.key, amount(&node.costs))).collect()
    }

    #[test]
    fn nearer_before_farther_and_dearer_before_cheaper() {
        let view = view(9, 2);
        assert_eq!(
            told(&view),
            [
                "tenant 6",
                "resource:e1 12",
                "resource:e2 -8",
                "organization 2",
                "resource:c -9",
                "resource:b 8",
                "resource:a 5",
                "resource:s 2"
            ]
        );
        // A resource that rows of two environments name hangs on both.
        let b: Vec<_> = view.edges.iter().filter(|edge| edge.target == Key::Resource("b".to_owned())).collect();
        assert_eq!(b.iter().map(|edge| edge.costs.clone()).collect::<Vec<_>>(), [usd(7), usd(1)]);
        assert!(!view.is_truncated());
    }

    #[test]
    fn what_is_not_shown_is_one_node_with_its_costs() {
        let view = view(2, 2);
        assert_eq!(
            told(&view),
            [
                "tenant 6",
                "resource:e1 12",
                "resource:e2 -8",
                "rest:parent:tenant 2",
                "rest:parent:resource:e1 12",
                "rest:parent:resource:e2 -8"
            ]
        );
        assert!(view.is_truncated());
        assert_eq!(view.nodes[4].count, Some(2));
    }

    #[test]
    fn what_pays_is_at_the_end_of_the_edge() {
        let mut view = view(9, 1);
        let payers = vec![(Key::Identity("x".to_owned()), usd(4)), (Key::Unallocated, usd(2))];
        view.charge(payers, &forest(), false);
        let last = view.edges.last().unwrap();
        assert_eq!((&last.source, &last.target), (&Key::Tenant, &Key::Unallocated));
        let focus = Node { key: Key::Unallocated, costs: usd(2), own: usd(2), count: None };
        let mut view = View::of(focus, 1);
        view.charge(
            vec![(Key::Resource("a".to_owned()), usd(1)), (Key::Resource("b".to_owned()), usd(1))],
            &forest(),
            true,
        );
        let ends: Vec<String> = view.edges.iter().map(|e| format!("{} > {}", e.source, e.target)).collect();
        assert_eq!(ends, ["resource:a > unallocated", "rest:charge:unallocated > unallocated"]);
    }
}
