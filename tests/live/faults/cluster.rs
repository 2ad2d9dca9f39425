//! Three brokers in one cluster, and the one that leads the lane dies.

use otodoke_tests::servers::rabbit::PrivateRabbit;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_its_leader_loses_nothing() {
    let house = House::open_on_cluster().await;
    let figures = try_fault_in(house, "leader lost", async |house| {
        let (leader, members) = lane(&house.rabbit);
        assert_eq!(members, NODES, "every node holds the lane");
        let nodes = std::iter::once(&mut house.rabbit).chain(&mut house.other_nodes);
        let (mut led, others): (Vec<_>, Vec<_>) = nodes.partition(|node| node.node() == leader);
        led.pop().expect("the leader is one of the three").kill();
        let another = async || {
            let (now, _) = lane(others[0]);
            others.iter().any(|node| node.node() == now).then_some(())
        };
        until("another node leads the lane", another, async || format!("{:?}", lane(others[0]))).await;
    });
    figures.await.account();
}
