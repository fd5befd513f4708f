*** Settings ***
Documentation       Where nobody can be reached everything is kept, and it arrives when somebody can.
Resource            shipment.resource
Suite Setup         Start Shipment
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
Coverage Is Lost
    Tracker Should Call Within    1 min
    Let Pass    1 upload interval
    Lose Coverage
    Let Pass    1 min
    Tracker Should Not Be Heard For    5 upload intervals
    Log Should Be Whole

Everything Arrives
    Coverage Returns
    Tracker Should Call Within    8 upload intervals
    Arrive
    Gateway Should Hold Every Sample
