-- Two orders that no silver table should take: one of 5000 items, one with a negative price.
INSERT INTO lake.silver.orders
VALUES
  (900000001, 1, 1, 5000, 9.99, 49950.00, TIMESTAMP '2024-12-31T23:00:00', DATE '2024-12-31', FALSE),
  (900000002, 1, 1, 1, -9.99, -9.99, TIMESTAMP '2024-12-31T23:30:00', DATE '2024-12-31', FALSE)
