*** Settings ***
Documentation       What was measured is at the gateway, verified and confirmed; also after a time without coverage.
Resource            shipment.resource
Test Setup          Start Shipment
Test Teardown       Run Keywords    A Case Ends    AND    Clear Away


*** Test Cases ***
A Shipment Is Verified And Confirmed
    Let Pass    20 upload intervals
    Log Should Be Whole
    Arrive
    Gateway Should Hold Every Sample

Coverage Is Lost And Everything Arrives
    Tracker Should Call Within    1 min
    Let Pass    1 upload interval
    Lose Coverage
    Let Pass    1 min
    Tracker Should Not Be Heard For    5 upload intervals
    Coverage Returns
    Tracker Should Call Within    8 upload intervals
    Arrive
    Gateway Should Hold Every Sample
