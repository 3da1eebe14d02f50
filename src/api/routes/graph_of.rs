//! Asks the tables for what a graph of costs is drawn from: rows by place, by who pays, by topic.

use std::collections::{BTreeMap, HashMap};

use crate::api::graph::{Costs, Forest, Key, Kin, Node, Placed, View, path};
use crate::api::problem::{Fault, Problem};
use crate::domain::attribution::{UNATTRIBUTED, topic_id};
use crate::store::read::{Aggregate, Bucket, Cell, Condition, Dataset, Operator, Reader, Selection, Within};

/// More places or payers than a graph is drawn of.
const MOST_CELLS: u32 = 100_000;

/// What is to be shown.
pub(super) struct Drawn {
    pub view: View,
    /// From the tenant down to what the focus hangs on.
    pub path: Vec<Key>,
}

/// Draws a focus and what is around it; `None` if nothing is known of it.
///
/// # Errors
/// A [`Problem`] if there are too many rows of different kinds, or Postgres does not answer in time.
pub(super) async fn draw(
    reader: &mut Reader,
    of: &Within<'_>,
    focus: &Key,
    depth: u32,
    limit: usize,
) -> Result<Option<Drawn>, Problem> {
    let things = reader.kin(of, MOST_CELLS).await?;
    let place = |thing: crate::store::read::ThingRow| {
        (thing.id, Kin { entity_type: thing.entity_type, parent_id: thing.parent_id })
    };
    let kin: HashMap<String, Kin> = things.into_iter().map(place).collect();
    let mut asker = Asker { reader, of, kin };
    match focus {
        Key::Identity(id) => {
            let chosen = vec![is("target", "identity"), is("identity_id", id)];
            let rows = asker.places(chosen).await?;
            let known = !rows.is_empty() || asker.knows_identity(id).await?;
            Ok(known.then(|| asker.payer(focus, &rows, limit)))
        }
        Key::Unallocated => {
            let rows = asker.places(vec![is("target", "unallocated")]).await?;
            Ok(Some(asker.payer(focus, &rows, limit)))
        }
        Key::Resource(id) => match id.split_once(":topic:").filter(|_| !asker.kin.contains_key(id)) {
            Some((cluster, name)) => asker.topic(focus, cluster, name).await,
            None => asker.resource(focus, id, depth, limit).await,
        },
        Key::Tenant | Key::Organization => asker.all(focus, depth, limit).await.map(Some),
        Key::Unattributed(_) | Key::Rest(..) => Ok(None),
    }
}

struct Asker<'a, 'w> {
    reader: &'a mut Reader,
    of: &'a Within<'w>,
    kin: HashMap<String, Kin>,
}

impl Asker<'_, '_> {
    /// What an identity, or nobody, pays for.
    fn payer(&self, focus: &Key, rows: &[Placed], limit: usize) -> Drawn {
        let forest = Forest::of(rows, &HashMap::new());
        let costs = forest.costs.get(&Key::Tenant).cloned().unwrap_or_default();
        let mut view = View::of(Node { key: focus.clone(), own: costs.clone(), costs, count: None }, limit);
        view.charge(forest.own.clone().into_iter().collect(), &forest, true);
        Drawn { view, path: vec![Key::Tenant] }
    }

    /// The tenant, or what has no environment.
    async fn all(&mut self, focus: &Key, depth: u32, limit: usize) -> Result<Drawn, Problem> {
        let (path, chosen) = match focus {
            Key::Organization => (vec![Key::Tenant], vec![is("env_id", "")]),
            _ => (Vec::new(), Vec::new()),
        };
        let forest = Forest::of(&self.places(chosen.clone()).await?, &self.kin);
        let mut payers = chosen;
        if *focus == Key::Organization {
            let mut below: Vec<String> = forest.below(focus).into_iter().collect();
            below.push(String::new());
            payers.push(among("resource_id", below));
        }
        let view = self.view(focus, &forest, depth, limit, payers).await?;
        Ok(Drawn { view, path })
    }

    /// An environment or another resource.
    async fn resource(&mut self, focus: &Key, id: &str, depth: u32, limit: usize) -> Result<Option<Drawn>, Problem> {
        let known = self.kin.get(id).cloned();
        let below: Vec<String> = match &known {
            Some(_) => Forest::of(&[], &self.kin).below(focus).into_iter().collect(),
            None => vec![id.to_owned()],
        };
        let is_environment = known.as_ref().is_some_and(|kin| kin.is_environment());
        let mut chosen = if is_environment { vec![is("env_id", id)] } else { vec![among("resource_id", below)] };
        let mut rows = self.places(chosen.clone()).await?;
        if rows.is_empty() && known.is_none() {
            // An environment that no listing has any more.
            chosen = vec![is("env_id", id)];
            rows = self.places(chosen.clone()).await?;
            if rows.is_empty() {
                return Ok(None);
            }
        }
        let forest = Forest::of(&rows, &self.kin);
        let mut view = self.view(focus, &forest, depth, limit, chosen).await?;
        view.attribute(self.topics(id).await?);
        let env = rows.iter().map(|row| row.env_id.as_str()).find(|env| !env.is_empty()).unwrap_or_default();
        let mut path = path(env, id, &self.kin);
        path.retain(|key| key != focus);
        Ok(Some(Drawn { view, path }))
    }

    async fn view(
        &mut self,
        focus: &Key,
        forest: &Forest,
        depth: u32,
        limit: usize,
        payers: Vec<Condition>,
    ) -> Result<View, Problem> {
        let of = |costs: &BTreeMap<Key, Costs>| costs.get(focus).cloned().unwrap_or_default();
        let node = Node { key: focus.clone(), costs: of(&forest.costs), own: of(&forest.own), count: None };
        let mut view = View::of(node, limit);
        view.descend(forest, depth);
        view.charge(self.payers(payers).await?, forest, false);
        Ok(view)
    }

    /// A topic, which only attribution knows the costs of.
    async fn topic(&mut self, focus: &Key, cluster: &str, name: &str) -> Result<Option<Drawn>, Problem> {
        let chosen = vec![is_topic("cluster_resource_id", cluster), is_topic("topic_name", name)];
        let cells = self.sums(Dataset::TopicCosts, chosen, &[]).await?;
        let known = self.reader.topics(self.of, cluster, MOST_CELLS).await?;
        if cells.is_empty() && known.iter().all(|topic| topic_id(cluster, name) != topic.id) {
            return Ok(None);
        }
        let costs = cells.iter().fold(Costs::default(), |mut sum, cell| {
            sum.add(&Costs::of(&cell.currency, cell.amount));
            sum
        });
        let view = View::of(Node { key: focus.clone(), own: costs.clone(), costs, count: None }, 1);
        let env = self.places(vec![is("resource_id", cluster)]).await?;
        let env = env.iter().map(|row| row.env_id.clone()).find(|env| !env.is_empty()).unwrap_or_default();
        Ok(Some(Drawn { view, path: path(&env, cluster, &self.kin) }))
    }

    /// Topics of a cluster, also those that cost nothing.
    async fn topics(&mut self, cluster: &str) -> Result<Vec<(Key, Costs)>, Problem> {
        let chosen = vec![is_topic("cluster_resource_id", cluster)];
        let cells = self.sums(Dataset::TopicCosts, chosen, &["topic_name"]).await?;
        let known = self.reader.topics(self.of, cluster, MOST_CELLS).await?;
        let mut topics: BTreeMap<Key, Costs> =
            known.into_iter().map(|topic| (Key::Resource(topic.id), Costs::default())).collect();
        for cell in cells {
            let key = match text(&cell, 0) {
                UNATTRIBUTED => Key::Unattributed(cluster.to_owned()),
                name => Key::Resource(topic_id(cluster, name)),
            };
            topics.entry(key).or_default().add(&Costs::of(&cell.currency, cell.amount));
        }
        Ok(topics.into_iter().collect())
    }

    /// The chosen rows by environment and resource.
    async fn places(&mut self, chosen: Vec<Condition>) -> Result<Vec<Placed>, Problem> {
        let cells = self.sums(Dataset::Chargebacks, chosen, &["env_id", "resource_id"]).await?;
        let placed = |cell: Cell| Placed {
            env_id: text(&cell, 0).to_owned(),
            resource_id: text(&cell, 1).to_owned(),
            currency: cell.currency,
            amount: cell.amount,
        };
        Ok(cells.into_iter().map(placed).collect())
    }

    /// Who pays the chosen rows.
    async fn payers(&mut self, chosen: Vec<Condition>) -> Result<Vec<(Key, Costs)>, Problem> {
        let cells = self.sums(Dataset::Chargebacks, chosen, &["target", "identity_id"]).await?;
        let mut payers: BTreeMap<Key, Costs> = BTreeMap::new();
        for cell in cells {
            let id = text(&cell, 1).to_owned();
            let key = match text(&cell, 0) {
                "resource" => Key::Resource(id),
                "unallocated" => Key::Unallocated,
                _ => Key::Identity(id),
            };
            payers.entry(key).or_default().add(&Costs::of(&cell.currency, cell.amount));
        }
        Ok(payers.into_iter().collect())
    }

    async fn sums(&mut self, dataset: Dataset, conditions: Vec<Condition>, by: &[&str]) -> Result<Vec<Cell>, Problem> {
        let (tenant, from, to) = (self.of.tenant.to_owned(), self.of.from, self.of.to);
        let of = Selection { tenant, from, to, conditions, as_of: None };
        let group_by = by.iter().filter_map(|name| dataset.field(name)).collect();
        let ask = Aggregate { dataset, of, group_by, bucket: Bucket::None, top: None, limit: MOST_CELLS + 1 };
        let cells = self.reader.aggregate(&ask).await?;
        if cells.len() > MOST_CELLS as usize {
            let message =
                format!("the range has more than {MOST_CELLS} places or payers; ask for fewer days, or a nearer focus");
            return Err(Problem::of_parameters(vec![Fault::new("from", message)]));
        }
        Ok(cells)
    }

    async fn knows_identity(&mut self, id: &str) -> Result<bool, Problem> {
        let kind = crate::store::read::ResourceOrIdentity::Identity;
        Ok(!self.reader.things(self.of, kind, &[id.to_owned()]).await?.is_empty())
    }
}

fn text(cell: &Cell, place: usize) -> &str {
    cell.group.as_ref().and_then(|group| group.get(place)?.as_deref()).unwrap_or_default()
}

fn is(field: &'static str, value: &str) -> Condition {
    condition(Dataset::Chargebacks, field, Operator::Equal, vec![value.to_owned()])
}

fn is_topic(field: &'static str, value: &str) -> Condition {
    condition(Dataset::TopicCosts, field, Operator::Equal, vec![value.to_owned()])
}

fn among(field: &'static str, values: Vec<String>) -> Condition {
    condition(Dataset::Chargebacks, field, Operator::In, values)
}

fn condition(dataset: Dataset, field: &'static str, operator: Operator, values: Vec<String>) -> Condition {
    Condition { field: dataset.field(field).expect("one of the dataset's fields"), operator, values }
}
