//! Three brokers in one cluster, and the one that leads the lane dies.

use otodoke_tests::servers::rabbit::PrivateRabbit;
use serde_json::Value;

use crate::house::House;
use crate::trial::try_fault_in;
use crate::until::until;

const LANE: &str = "otodoke.normal";
const NODES: usize = 3;

/// Who leads the lane and how many hold it, as this node knows it; no leader while there is none, and then a node may not
/// list it at all.
fn lane(node: &PrivateRabbit) -> (String, usize) {
    let queues = node.control(&["list_queues", "name", "leader", "members", "--silent"]);
    let lane = queues.lines().map(|line| line.split('\t').collect::<Vec<_>>()).find(|columns| columns[0] == LANE);
    lane.map_or_else(Default::default, |columns| (columns[1].to_owned(), columns[2].matches("otodoke-").count()))
}

fn at_management(node: &PrivateRabbit) -> (String, String) {
    (node.node().to_owned(), node.management_url())
}

/// What `topology check` says of the queues, by the management API of one of the nodes.
fn queues_survive(house: &House, management_url: &str) -> Value {
    let said = house.type_in(&["topology", "check", "--management-url", management_url]);
    let verdict: Value = serde_json::from_str(&said).expect("an answer in JSON");
    verdict["survives"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_its_leader_loses_nothing() {
    let house = House::open_on_cluster().await;
    let figures = try_fault_in(house, "leader lost", async |house| {
        let (leader, members) = lane(&house.rabbit);
        assert_eq!(members, NODES, "every node holds the lane");
        let survives = queues_survive(house, &house.rabbit.management_url());
        assert_eq!(survives["a_machine"], true, "{survives}");
        let places: Vec<_> = house.other_nodes.iter().chain([&house.rabbit]).map(at_management).collect();
        let nodes = std::iter::once(&mut house.rabbit).chain(&mut house.other_nodes);
        let (mut led, others): (Vec<_>, Vec<_>) = nodes.partition(|node| node.node() == leader);
        led.pop().expect("the leader is one of the three").kill();
        let another = async || {
            let (now, _) = lane(others[0]);
            others.iter().any(|node| node.node() == now).then_some(())
        };
        until("another node leads the lane", another, async || format!("{:?}", lane(others[0]))).await;
        let (_, url) = places.into_iter().find(|(node, _)| *node != leader).expect("two are left");
        let fewer = async || Some(queues_survive(house, &url)).filter(|survives| survives["a_machine"] == false);
        let survives =
            until("it is told that a node is away", fewer, async || queues_survive(house, &url).to_string()).await;
        let words = format!("of {LANE}'s {NODES} members 2 are there");
        assert!(survives["why"].as_str().is_some_and(|why| why.contains(&words)), "{survives}");
    });
    figures.await.account();
}
