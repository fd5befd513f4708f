*** Settings ***
Documentation       What was measured is at the gateway, verified and confirmed.
Resource            shipment.resource
Suite Setup         Start Shipment
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
A Shipment Is Verified And Confirmed
    Let Pass    20 upload intervals
    Log Should Be Whole
    Arrive
    Gateway Should Hold Every Sample
