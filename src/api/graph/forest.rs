//! Where rows belong, and what that makes each node cost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Costs, Key};
use crate::domain::Amount;

/// The type of resources that others are below of, and that rows name beside their resource.
const ENVIRONMENT: &str = "environment";

/// What the inventory says of the place of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kin {
    pub entity_type: String,
    pub parent_id: Option<String>,
}

impl Kin {
    /// Do rows name it beside their resource?
    pub fn is_environment(&self) -> bool {
        self.entity_type == ENVIRONMENT
    }
}

/// The sum of rows of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Empty: none.
    pub env_id: String,
    /// Empty: none.
    pub resource_id: String,
    pub currency: String,
    pub amount: Amount,
}

/// All places with what they cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Forest {
    /// Rows at the node and below it.
    pub costs: BTreeMap<Key, Costs>,
    /// Rows at the node itself.
    pub own: BTreeMap<Key, Costs>,
    /// What hangs on a node, with how much of its costs come by way of that node.
    pub children: BTreeMap<Key, BTreeMap<Key, Costs>>,
}

impl Forest {
    /// Puts rows in their places, and beside them what the inventory has and no row is about.
    pub fn of(rows: &[Placed], kin: &HashMap<String, Kin>) -> Self {
        let mut forest = Self::default();
        forest.costs.entry(Key::Tenant).or_default();
        for row in rows {
            let costs = Costs::of(&row.currency, row.amount);
            let path = path(&row.env_id, &row.resource_id, kin);
            forest.grow(&path, &costs);
            if let Some(place) = path.into_iter().next_back() {
                forest.own.entry(place).or_default().add(&costs);
            }
        }
        for (id, of) in kin {
            if !forest.costs.contains_key(&Key::Resource(id.clone())) {
                let home = if of.is_environment() { Some(id.clone()) } else { chain(id, kin).1 };
                forest.grow(&path(home.as_deref().unwrap_or_default(), id, kin), &Costs::default());
            }
        }
        forest
    }

    fn grow(&mut self, path: &[Key], costs: &Costs) {
        for key in path {
            self.costs.entry(key.clone()).or_default().add(costs);
        }
        for (parent, child) in path.iter().zip(path.iter().skip(1)) {
            let children = self.children.entry(parent.clone()).or_default();
            children.entry(child.clone()).or_default().add(costs);
        }
    }

    /// The resources at this node and below it.
    pub fn below(&self, key: &Key) -> BTreeSet<String> {
        let (mut seen, mut open) = (BTreeSet::from([key.clone()]), vec![key]);
        while let Some(next) = open.pop() {
            let children = self.children.get(next).into_iter().flat_map(BTreeMap::keys);
            open.extend(children.filter(|child| seen.insert((*child).clone())));
        }
        seen.iter().filter_map(Key::entity).map(str::to_owned).collect()
    }
}

/// From the tenant to the place of such rows.
pub(crate) fn path(env_id: &str, resource_id: &str, kin: &HashMap<String, Kin>) -> Vec<Key> {
    let (chain, home) = chain(resource_id, kin);
    let mut path = vec![Key::Tenant];
    if !env_id.is_empty() {
        path.push(Key::Resource(env_id.to_owned()));
    } else if home.is_some() || !kin.contains_key(resource_id) {
        path.push(Key::Organization);
    }
    let below = chain.into_iter().rev().filter(|id| *id != env_id);
    path.extend(below.map(Key::Resource));
    path
}

/// The resource and its parents up to its environment, which is the second value; no other environment is among them.
fn chain(resource_id: &str, kin: &HashMap<String, Kin>) -> (Vec<String>, Option<String>) {
    let is_environment = |id: &str| kin.get(id).is_some_and(Kin::is_environment);
    let mut chain: Vec<String> = Vec::new();
    let mut next = Some(resource_id.to_owned()).filter(|id| !id.is_empty());
    // What is its own ancestor hangs where its circle was entered.
    while let Some(id) = next.take().filter(|id| !chain.contains(id)) {
        if is_environment(&id) {
            return (chain, Some(id));
        }
        next = kin.get(&id).and_then(|of| of.parent_id.clone()).filter(|id| !id.is_empty());
        chain.push(id);
    }
    (chain, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kin(of: &[(&str, &str, &str)]) -> HashMap<String, Kin> {
        let one = |(id, entity_type, parent): &(&str, &str, &str)| {
            let parent_id = Some((*parent).to_owned()).filter(|parent| !parent.is_empty());
            ((*id).to_owned(), Kin { entity_type: (*entity_type).to_owned(), parent_id })
        };
        of.iter().map(one).collect()
    }

    fn row(env_id: &str, resource_id: &str, amount: i64) -> Placed {
        let (env_id, resource_id) = (env_id.to_owned(), resource_id.to_owned());
        Placed { env_id, resource_id, currency: "USD".to_owned(), amount: Amount::whole(amount) }
    }

    fn estate() -> HashMap<String, Kin> {
        kin(&[
            ("env-1", "environment", ""),
            ("env-2", "environment", ""),
            ("lkc-1", "kafka_cluster", "env-1"),
            ("lcc-1", "connector", "lkc-1"),
            ("own-1", "cluster", ""),
        ])
    }

    fn told(env_id: &str, resource_id: &str) -> String {
        let path: Vec<String> = path(env_id, resource_id, &estate()).iter().map(Key::to_string).collect();
        path.join(" > ").replace("resource:", "")
    }

    #[test]
    fn rows_hang_on_their_environment_and_then_on_their_resources_parents() {
        assert_eq!(told("env-1", "lcc-1"), "tenant > env-1 > lkc-1 > lcc-1");
        assert_eq!(told("env-2", "lkc-1"), "tenant > env-2 > lkc-1");
        assert_eq!(told("env-1", "gone"), "tenant > env-1 > gone");
        assert_eq!(told("env-1", "env-1"), "tenant > env-1");
        assert_eq!(told("env-1", ""), "tenant > env-1");
    }

    #[test]
    fn what_has_no_environment_is_the_organizations_unless_it_needs_none() {
        assert_eq!(told("", "support"), "tenant > organization > support");
        assert_eq!(told("", ""), "tenant > organization");
        assert_eq!(told("", "lkc-1"), "tenant > organization > lkc-1");
        assert_eq!(told("", "own-1"), "tenant > own-1");
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let kin = kin(&[("a", "cluster", "b"), ("b", "cluster", "a")]);
        let told: Vec<String> = path("env-1", "a", &kin).iter().map(Key::to_string).collect();
        assert_eq!(told.join(" > "), "tenant > resource:env-1 > resource:b > resource:a");
        assert_eq!(Forest::of(&[row("", "a", 1), row("", "b", 2)], &kin).costs[&Key::Tenant].weight() / 3, unit());
    }

    fn unit() -> u128 {
        Amount::whole(1).units().unsigned_abs()
    }

    #[test]
    fn what_costs_nothing_is_there_too() {
        let forest = Forest::of(&[row("env-1", "lkc-1", 5)], &estate());
        let names = |key: &Key| forest.children[key].keys().map(Key::to_string).collect::<Vec<_>>();
        assert_eq!(names(&Key::Tenant), ["resource:env-1", "resource:env-2", "resource:own-1"]);
        assert_eq!(names(&Key::Resource("lkc-1".to_owned())), ["resource:lcc-1"]);
        assert_eq!(forest.below(&Key::Resource("env-1".to_owned())).len(), 3);
    }

    proptest! {
        #[test]
        fn a_node_costs_what_it_has_and_what_hangs_on_it(
            rows in proptest::collection::vec((0..3usize, 0..5usize, -50i64..50), 0..30),
        ) {
            let (envs, resources) = (["", "env-1", "env-2"], ["", "lkc-1", "lcc-1", "own-1", "gone"]);
            let rows: Vec<Placed> = rows.iter().map(|(e, r, a)| row(envs[*e], resources[*r], *a)).collect();
            let forest = Forest::of(&rows, &estate());
            for (key, costs) in &forest.costs {
                let mut sum = forest.own.get(key).cloned().unwrap_or_default();
                let children = forest.children.get(key).into_iter().flat_map(BTreeMap::values);
                children.for_each(|part| sum.add(part));
                prop_assert_eq!(sum.0.get("USD").copied().unwrap_or_default(), costs.0.get("USD").copied().unwrap_or_default());
            }
            let all: Amount = rows.iter().map(|row| row.amount).sum();
            prop_assert_eq!(forest.costs[&Key::Tenant].0.get("USD").copied().unwrap_or_default(), all);
        }
    }
}
