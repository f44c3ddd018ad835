use super::*;

fn slice(json: serde_json::Value) -> EndpointSlice {
    serde_json::from_value(json).expect("an EndpointSlice")
}

fn endpoints(address_type: &str, endpoints: serde_json::Value) -> EndpointSlice {
    slice(serde_json::json!({
        "metadata": {"name": "gateway"},
        "addressType": address_type,
        "ports": [{"name": "http", "port": 8080}, {"name": "admin", "port": 9090}],
        "endpoints": endpoints,
    }))
}

#[test]
fn a_replica_is_named_by_its_pod_and_reached_on_its_operations_port() {
    let slice = endpoints(
        "IPv4",
        serde_json::json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "gateway-a"}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "gateway-b"}},
        ]),
    );
    let found = Replicas::of([&slice]);
    assert_eq!(found.all["gateway-a"].address, "10.0.0.1:9090");
    assert_eq!(found.all["gateway-a"].ready, Some(true));
    assert_eq!(found.all["gateway-b"].ready, Some(false));
}

#[test]
fn an_address_of_the_newer_protocol_is_bracketed() {
    let slice = endpoints("IPv6", serde_json::json!([{"addresses": ["fd00::1"]}]));
    assert_eq!(
        Replicas::of([&slice]).all["fd00::1"].address,
        "[fd00::1]:9090"
    );
}

#[test]
fn endpoints_of_another_port_are_no_replicas() {
    let slice = slice(serde_json::json!({
        "metadata": {"name": "gateway"}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}], "endpoints": [{"addresses": ["10.0.0.1"]}],
    }));
    assert!(Replicas::of([&slice]).all.is_empty());
}
