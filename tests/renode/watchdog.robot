*** Settings ***
Documentation       A task that hangs ends in a reset by the watchdog, and costs nothing that was recorded.
Resource            shipment.resource
Suite Setup         Start Shipment
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
A Hung Task Is Bitten
    Tracker Should Call Within    1 min
    Let Pass    3 sampling intervals
    Hang A Task
    Tracker Should Boot Within    10 min    watchdog

It Goes On With Its Log Whole
    Sample Should Be Taken Within    2 sampling intervals
    Log Should Be Whole
    Arrive
    Gateway Should Hold Every Sample
